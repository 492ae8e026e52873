// Verifies what of a bundle the Go checksum database's own packages can: the signed checkpoint, the tiles, the place of every record in the tree,
// the proofs, and that the log grew from checkpoints that were kept. It shares no code with Countersign.
//
//	go run verify_bundle.go BUNDLE KEY [OLDER_CHECKPOINT ...] [--witness=WITNESS_KEY ...]
//
// BUNDLE is a folder, KEY a file with the log's public key, WITNESS_KEY that of a witness which must have cosigned the checkpoint. With Debian's packages golang-go and golang-golang-x-mod-dev, and no network:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run verify_bundle.go BUNDLE KEY
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type leaf struct {
	Commitment string `json:"commitment"`
	Emitter    string `json:"emitter"`
	ID         string `json:"id"`
	Schema     int    `json:"schema"`
	Seq        int64  `json:"seq"`
	Type       string `json:"type"`
}

// tiles reads the bundle's tiles; paths are those of the checksum database without the height.
type tiles string

func (t tiles) Height() int                         { return 8 }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(string(t), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// cosigner verifies cosignatures (C2SP tlog-cosignature, Ed25519), which signed notes leave to those who know them.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }

func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(signature))
	return ed25519.Verify(c.key, append([]byte(head), text...), signature[8:])
}

// newCosigner reads the public key of a witness, of type 4.
func newCosigner(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("it is not NAME+ID+KEY")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return nil, fmt.Errorf("it is not the key of a witness")
	}
	id := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if hex.EncodeToString(id[:4]) != parts[1] {
		return nil, fmt.Errorf("its name and key have another id")
	}
	return cosigner{parts[0], binary.BigEndian.Uint32(id[:4]), ed25519.PublicKey(key[1:])}, nil
}

// opened is the tree of a checkpoint that the key signed.
func opened(path string, verifiers note.Verifiers, origin string) (tlog.Tree, []byte, error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	checkpoint, err := note.Open(signed, verifiers)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	lines := strings.Split(checkpoint.Text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		return tlog.Tree{}, nil, fmt.Errorf("it is not a checkpoint of %s", origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, signed, err
}

// entry is the public entry of a record, from a tile of entries.
func entry(bundle string, size, seq int64) ([]byte, error) {
	index := seq - 1
	tile := tlog.Tile{H: 8, L: 0, N: index / 256, W: 256}
	if rest := size - tile.N*256; rest < 256 {
		tile.W = int(rest)
	}
	path := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/0/")
	data, err := os.ReadFile(filepath.Join(bundle, path))
	if err != nil {
		return nil, err
	}
	for at := int64(0); len(data) >= 2; at++ {
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			break
		}
		if at == index%256 {
			return data[2 : 2+length], nil
		}
		data = data[2+length:]
	}
	return nil, fmt.Errorf("%s ends before record %d", path, seq)
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verify_bundle BUNDLE KEY [OLDER_CHECKPOINT ...]")
		os.Exit(2)
	}
	bundle, faults := os.Args[1], 0
	check := func(what string, err error) bool {
		if err != nil {
			fmt.Printf("does not hold: %s: %v\n", what, err)
			faults++
		}
		return err == nil
	}
	must := func(what string, err error) {
		if !check(what, err) {
			os.Exit(1)
		}
	}
	key, err := os.ReadFile(os.Args[2])
	must("the key", err)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	must("the key", err)
	verifiers := note.VerifierList(verifier)
	tree, signed, err := opened(filepath.Join(bundle, "checkpoint"), verifiers, verifier.Name())
	must("checkpoint", err)
	hashes := tlog.TileHashReader(tree, tiles(bundle))

	cosigned := 0
	for _, argument := range os.Args[3:] {
		path := strings.TrimPrefix(argument, "--witness=")
		if path == argument {
			continue
		}
		key, err := os.ReadFile(path)
		must(path, err)
		witness, err := newCosigner(strings.TrimSpace(string(key)))
		must(path, err)
		_, err = note.Open(signed, note.VerifierList(witness))
		if check("cosignature of "+witness.Name(), err) {
			cosigned++
		}
	}

	for _, path := range os.Args[3:] {
		if strings.HasPrefix(path, "--witness=") {
			continue
		}
		older, _, err := opened(path, verifiers, verifier.Name())
		if check(path, err) && older.N > 0 {
			proof, err := tlog.ProveTree(tree.N, older.N, hashes)
			if check(path, err) {
				check(path, tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash))
			}
		}
	}

	var manifest struct {
		Population struct {
			First   int64            `json:"first_seq"`
			Records int64            `json:"records"`
			Types   map[string]int64 `json:"types"`
		} `json:"population"`
	}
	text, err := os.ReadFile(filepath.Join(bundle, "manifest.json"))
	must("manifest.json", err)
	must("manifest.json", json.Unmarshal(text, &manifest))
	types := map[string]int64{}
	for seq := manifest.Population.First; seq < manifest.Population.First+manifest.Population.Records; seq++ {
		public, err := entry(bundle, tree.N, seq)
		must("the population", err)
		at, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, seq-1)})
		must("the population", err)
		var said leaf
		must("the population", json.Unmarshal(public, &said))
		if at[0] != tlog.RecordHash(public) || said.Seq != seq {
			check("the population", fmt.Errorf("the entry of record %d is not the one that was signed", seq))
		}
		types[said.Type]++
	}
	if fmt.Sprint(types) != fmt.Sprint(manifest.Population.Types) {
		check("manifest.json", fmt.Errorf("it claims %v and there are %v", manifest.Population.Types, types))
	}

	records := 0
	for _, name := range []string{"records", "context"} {
		lines, err := os.ReadFile(filepath.Join(bundle, name+".jsonl"))
		must(name, err)
		salts, err := os.ReadFile(filepath.Join(bundle, name+".salts"))
		must(name, err)
		digits := strings.Fields(string(salts))
		for number, line := range bytes.SplitAfter(lines, []byte("\n")) {
			if len(line) == 0 {
				continue
			}
			where := fmt.Sprintf("%s.jsonl line %d", name, number+1)
			var said leaf
			if !check(where, json.Unmarshal(line, &said)) || number >= len(digits) {
				check(where, fmt.Errorf("it is no record with a salt"))
				continue
			}
			salt, err := hex.DecodeString(digits[number])
			check(where, err)
			digest := sha256.Sum256(bytes.Join([][]byte{[]byte("countersign record 1\x00"), salt, bytes.TrimSuffix(line, []byte("\n"))}, nil))
			said.Commitment = hex.EncodeToString(digest[:])
			public, err := json.Marshal(said)
			check(where, err)
			at, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, said.Seq-1)})
			if check(where, err) && at[0] != tlog.RecordHash(public) {
				check(where, fmt.Errorf("it is not the record that was signed under the number %d", said.Seq))
			}
			records++
		}
	}

	proofs, _ := filepath.Glob(filepath.Join(bundle, "proofs", "*.tlog-proof"))
	for _, path := range proofs {
		text, err := os.ReadFile(path)
		must(path, err)
		head, checkpoint, _ := strings.Cut(string(text), "\n\n")
		lines := strings.Split(head, "\n")
		seq, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(path), ".tlog-proof"), 10, 64)
		must(path, err)
		if lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", seq-1) || checkpoint != string(signed) {
			check(path, fmt.Errorf("it is not the proof of record %d under this checkpoint", seq))
			continue
		}
		var proof tlog.RecordProof
		for _, line := range lines[2:] {
			hash, err := base64.StdEncoding.DecodeString(line)
			if check(path, err) && len(hash) == tlog.HashSize {
				proof = append(proof, tlog.Hash(*(*[tlog.HashSize]byte)(hash)))
			}
		}
		public, err := entry(bundle, tree.N, seq)
		if check(path, err) {
			check(path, tlog.CheckRecord(proof, tree.N, tree.Hash, seq-1, tlog.RecordHash(public)))
		}
	}
	fmt.Printf("%d records and %d proofs, under a checkpoint of %d, cosigned by %d witnesses\n", records, len(proofs), tree.N, cosigned)
	if faults > 0 {
		os.Exit(1)
	}
}
