module stale

go 1.17
