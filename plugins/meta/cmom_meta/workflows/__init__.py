"""The workflows that plugin.yaml names: graphs of one operation each."""
