"""Settings: `tocsin.yaml`, the environment and flags in, one frozen `Config` out; they go no further than `app`."""
