package gobstream

// reading returns the plan that decodes values of a type of the peer's: p itself, if
// that type is ours, or else one with the peer's fields. It returns nil if gob has to
// decode the values, or to say why it can't.
func (p *plan) reading(s *schema, id int) *plan {
	if same := make(matches); same.ours(p, s, id) {
		return p
	}
	m := adapter{schema: s, made: make(map[match]*plan)}
	theirs := m.plan(p, id)
	if m.failed {
		return nil
	}
	return theirs
}

// A match is a plan for a type of the peer's.
type match struct {
	plan *plan
	id   int
}

// formOfKind is the form of values whose type is defined as a kind.
var formOfKind = [numKinds]form{arrayForm, sliceForm, structForm, mapForm, coderForm, coderForm, coderForm}

// fits reports whether values of a peer's type look as p expects, but for their parts.
func (p *plan) fits(peers *typeDef) bool {
	switch {
	case peers == nil:
		return false
	case p.form == textMapForm:
		return peers.kind == mapKind
	case p.form == coderForm:
		return peers.kind == p.coder.kind
	}
	return p.form == formOfKind[peers.kind]
}

// parts returns the plans for the parts of an element, or of an entry.
func (p *plan) parts() []*plan {
	switch p.form {
	case sliceForm, arrayForm:
		return []*plan{p.elem}
	case mapForm, textMapForm:
		return []*plan{p.key, p.elem}
	}
	return nil
}

// matches is what has been compared, or is about to be.
type matches map[match]bool

// ours reports whether a type of the peer's is exactly the type of p.
func (m matches) ours(p *plan, s *schema, id int) bool {
	for p.form == pointerForm {
		p = p.elem
	}
	if p.form < structForm {
		return int(p.form) == id
	}
	if m[match{p, id}] {
		return true
	}
	m[match{p, id}] = true
	peers := s.types[id]
	if !p.fits(peers) || len(peers.names) != len(p.fields) {
		return false
	}
	for i, f := range p.fields {
		if f.name != peers.names[i] || !m.ours(f.plan, s, peers.parts[i]) {
			return false
		}
	}
	for i, part := range p.parts() {
		if !m.ours(part, s, peers.parts[i]) {
			return false
		}
	}
	return true
}

// An adapter makes a plan for a type of the peer's of a plan for one of ours.
type adapter struct {
	schema *schema
	made   map[match]*plan // some of them unfinished: a type may hold itself
	failed bool
}

func (m *adapter) plan(p *plan, id int) *plan {
	if known := m.made[match{p, id}]; known != nil {
		return known
	}
	theirs := *p
	m.made[match{p, id}] = &theirs
	m.adapt(&theirs, id)
	return &theirs
}

func (m *adapter) adapt(p *plan, id int) {
	if p.form == pointerForm {
		p.elem = m.plan(p.elem, id)
		return
	}
	if p.form < structForm {
		m.failed = m.failed || int(p.form) != id
		return
	}
	peers := m.schema.types[id]
	if m.failed = m.failed || !p.fits(peers); m.failed {
		return
	}
	switch p.form {
	case structForm:
		m.fields(p, peers)
	case mapForm, textMapForm:
		p.key, p.elem = m.plan(p.key, peers.parts[0]), m.plan(p.elem, peers.parts[1])
	case sliceForm, arrayForm:
		p.elem = m.plan(p.elem, peers.parts[0])
	}
}

// fields gives the plan for a struct the fields of the peer's.
func (m *adapter) fields(p *plan, peers *typeDef) {
	fields := make([]field, 0, len(peers.names))
	known := 0
	for i, name := range peers.names {
		if f := p.field(name); f != nil {
			known++
			fields = append(fields, field{name, f.offset, m.plan(f.plan, peers.parts[i])})
		} else {
			fields = append(fields, field{name, 0, m.ignoring(peers.parts[i])})
		}
	}
	m.failed = m.failed || known == 0 // gob says that the types have nothing in common
	p.fields = fields
}

// ignoring returns a plan for values that are decoded into nothing.
func (m *adapter) ignoring(id int) *plan {
	m.failed = m.failed || !m.schema.ignorable(id, make(map[int]bool))
	return &plan{form: ignoredForm, ignored: &ignored{m.schema, id}}
}

// field returns the field of a name, or nil.
func (p *plan) field(name string) *field {
	for i := range p.fields {
		if f := &p.fields[i]; f.name == name {
			return f
		}
	}
	return nil
}
