package middleware

import (
	"testing"

	"geerpc/internal/leak"
)

// TestMain fails the package if a goroutine is left behind.
func TestMain(m *testing.M) { leak.Main(m) }
