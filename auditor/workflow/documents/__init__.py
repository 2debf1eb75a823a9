"""What leaves the home on paper: certificates, reports, and their life afterwards."""
