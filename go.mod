module github.com/ngx-wsgi/ngx_wsgi

go 1.23.0

toolchain go1.24.4

require (
	github.com/go-python/cpy3 v0.2.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/net v0.43.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/text v0.28.0 // indirect
)
