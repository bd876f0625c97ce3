"""What every stage shares: settings, names, clients, the published version. Imports no stage."""
