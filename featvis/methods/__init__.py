"""The methods: each file here declares one or more, and no file elsewhere declares any."""
