#!/bin/bash
# Patches a manager that was just installed, before it becomes a member of the cluster.
#
# Give this script as one of the input `scripts`, and the patches as `files` that go into the home of ssh_user.
# Every *.patch there is applied, in the order of the names; the paths in them count from the root of the machine,
# as `git diff` writes them (a/opt/manager/...). All of them are tried before the first one is applied, so a machine
# is patched whole or not at all; one that is applied already is left as it is. The manager's services whose files
# were changed are restarted.
set -euo pipefail
shopt -s nullglob

cd "$HOME"
patches=(*.patch)
if [ ${#patches[@]} -eq 0 ]; then
    echo "no *.patch in $HOME: is there one among the input files?" >&2
    exit 1
fi

if ! command -v patch > /dev/null && ! sudo yum install -y patch; then
    echo "the program 'patch' is not on this machine and cannot be installed: add it to the image" >&2
    exit 1
fi

apply() {
    sudo patch --directory / --strip 1 --force --no-backup-if-mismatch "$@"
}

wanted=()
for name in "${patches[@]}"; do
    if apply --dry-run --reverse < "$name" > /dev/null; then
        echo "$name: applied already"
    elif apply --dry-run --forward < "$name"; then
        wanted+=("$name")
    else
        echo "$name: does not fit this manager; nothing was changed" >&2
        exit 1
    fi
done

services=()
for name in ${wanted[@]+"${wanted[@]}"}; do
    apply --forward < "$name"
    echo "$name: applied"
    while read -r path; do
        case $path in
            b/opt/manager/*) services+=(cloudify-restservice) ;;
            b/opt/mgmtworker/*) services+=(cloudify-mgmtworker) ;;
            b/etc/nginx/*) services+=(nginx) ;;
        esac
    done < <(sed -n 's/^+++ \([^\t]*\).*/\1/p' "$name")
done

for service in $(printf '%s\n' ${services[@]+"${services[@]}"} | sort -u); do
    sudo systemctl restart "$service"
    echo "$service: restarted"
done
