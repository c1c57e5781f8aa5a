module geerpc

go 1.25.0
