"""``bionicpro erase``: ask for the erasure of a customer whom the CRM keeps, wait for the receipt, and show which erasures there are."""
