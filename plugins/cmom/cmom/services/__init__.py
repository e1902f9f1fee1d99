"""What the product knows. A service gets clients, a logger and a clock, and runs without Cloudify."""
