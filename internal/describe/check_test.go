package describe

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A checker checks values against a JSON Schema: as much of draft 2020-12 as this
// package uses. It fails for a keyword that it doesn't know.
type checker struct{ defs map[string]any }

func check(schema, text []byte) error {
	var root map[string]any
	var value any
	if err := decode(schema, &root); err != nil {
		return err
	}
	if err := decode(text, &value); err != nil {
		return err
	}
	if root["$schema"] != dialect {
		return errors.New("no $schema")
	}
	c := checker{}
	c.defs, _ = root["$defs"].(map[string]any)
	return c.check(root, value)
}

func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

func (c checker) check(schema map[string]any, value any) error {
	for keyword, limit := range schema {
		if err := c.keyword(keyword, limit, value, schema); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) keyword(keyword string, limit, value any, schema map[string]any) error {
	switch keyword {
	case "$schema", "$defs", "description":
	case "$ref":
		def, ok := c.defs[strings.TrimPrefix(limit.(string), "#/$defs/")].(map[string]any)
		if !ok {
			return fmt.Errorf("no definition for %s", limit)
		}
		return c.check(def, value)
	case "type":
		types, ok := limit.([]any)
		if !ok {
			types = []any{limit}
		}
		if !slices.ContainsFunc(types, func(t any) bool { return hasType(t.(string), value) }) {
			return fmt.Errorf("%v is not of type %v", value, limit)
		}
	case "anyOf":
		for _, s := range limit.([]any) {
			if c.check(s.(map[string]any), value) == nil {
				return nil
			}
		}
		return fmt.Errorf("%v fits none of %v", value, limit)
	case "not":
		if c.check(limit.(map[string]any), value) == nil {
			return fmt.Errorf("%v is excluded", value)
		}
	case "items", "properties", "additionalProperties", "propertyNames", "maxItems":
		return c.inside(keyword, limit, value, schema)
	default:
		return scalar(keyword, limit, value)
	}
	return nil
}

// inside checks what is in objects and arrays.
func (c checker) inside(keyword string, limit, value any, schema map[string]any) error {
	list, _ := value.([]any)
	object, _ := value.(map[string]any)
	switch keyword {
	case "maxItems":
		if n, _ := limit.(json.Number).Int64(); len(list) > int(n) {
			return fmt.Errorf("%d items", len(list))
		}
	case "items":
		for _, v := range list {
			if err := c.check(limit.(map[string]any), v); err != nil {
				return err
			}
		}
	case "properties":
		for name, s := range limit.(map[string]any) {
			if v, there := object[name]; there {
				if err := c.check(s.(map[string]any), v); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	case "additionalProperties", "propertyNames":
		for name, v := range object {
			if keyword == "propertyNames" {
				v = name
			}
			if err := c.check(limit.(map[string]any), v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func scalar(keyword string, limit, value any) (err error) {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	switch keyword {
	case "format":
		if isText {
			_, err = time.Parse(time.RFC3339, text)
		}
	case "contentEncoding":
		if isText {
			_, err = base64.StdEncoding.DecodeString(text)
		}
	case "pattern":
		if isText && !regexp.MustCompile(limit.(string)).MatchString(text) {
			err = fmt.Errorf("%s does not match %s", text, limit)
		}
	case "minimum", "maximum":
		a, _ := new(big.Rat).SetString(string(limit.(json.Number)))
		b := a
		if isNumber {
			b, _ = new(big.Rat).SetString(string(number))
		}
		if sign := b.Cmp(a); keyword == "minimum" && sign < 0 || keyword == "maximum" && sign > 0 {
			err = fmt.Errorf("%v is out of range", value)
		}
	default:
		err = fmt.Errorf("unknown keyword %s", keyword)
	}
	return err
}

func hasType(name string, value any) bool {
	switch v := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case json.Number:
		_, ok := new(big.Int).SetString(string(v), 10)
		return name == "number" || name == "integer" && ok
	case []any:
		return name == "array"
	}
	return name == "object"
}
