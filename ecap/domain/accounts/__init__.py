"""Who somebody is to ECAP, and what that lets them do."""
