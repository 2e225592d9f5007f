module github.com/ngx-wsgi/ngx_wsgi

go 1.23.0

toolchain go1.24.4

require (
	github.com/go-python/cpy3 v0.2.0
	github.com/quic-go/qpack v0.5.1
	github.com/quic-go/quic-go v0.54.1
	github.com/stretchr/testify v1.12.1
	golang.org/x/net v0.43.0
)

require (
	go.uber.org/mock v0.5.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.41.0 // indirect
	golang.org/x/mod v0.26.0 // indirect
	golang.org/x/sync v0.16.0 // indirect
	golang.org/x/sys v0.35.0 // indirect
	golang.org/x/text v0.28.0 // indirect
	golang.org/x/tools v0.35.0 // indirect
)
