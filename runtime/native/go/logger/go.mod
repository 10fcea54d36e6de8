module github.com/nuclio/logger

go 1.17
