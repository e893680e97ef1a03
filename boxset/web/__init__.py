"""What is fetched from web sites: the guarded fetcher, robots, suppliers of addresses, the crawl."""
