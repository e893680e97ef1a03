"""What is bought: ledger, plan, price, and the services that draw boxes."""
