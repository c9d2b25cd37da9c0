"""``bionicpro replay``: let the processor read again from a moment on, or fold one prosthesis again from raw telemetry."""
