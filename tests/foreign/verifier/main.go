// Command verifier checks a log of the gateway with code of the Go project alone:
// golang.org/x/mod/sumdb/note for signatures, tlog for trees and proofs.
//
//	verifier log KEY EXPORT                  every entry of an export
//	verifier receipt KEY ENTRY PROOF         one entry and its tlog-proof
//	verifier grown KEY OLD_CHECKPOINT EXPORT the export continues an older checkpoint
//
// KEY is a file with the log's verifier key. It prints one line that begins with "ok"
// and exits 0, or says what does not fit and exits 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight  = 8
	tileWidth   = 1 << tileHeight
	proofHeader = "c2sp.org/tlog-proof@v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("REFUSED:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 3 {
		return errors.New("usage: verifier log|receipt|grown KEY FILE...")
	}
	key, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return err
	}
	switch {
	case arguments[0] == "log" && len(arguments) == 3:
		return checkLog(verifier, arguments[2])
	case arguments[0] == "receipt" && len(arguments) == 4:
		return checkReceipt(verifier, arguments[2], arguments[3])
	case arguments[0] == "grown" && len(arguments) == 4:
		return checkGrown(verifier, arguments[2], arguments[3])
	}
	return errors.New("usage: verifier log|receipt|grown KEY FILE...")
}

// checkLog hashes every entry and compares it with the tiles, which tlog compares with
// the signed root. It then proves each entry anew from the tiles.
func checkLog(verifier note.Verifier, folder string) error {
	tree, err := readCheckpoint(verifier, filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	entries, err := readEntries(folder, tree.N)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, tiles{folder})
	for n, entry := range entries {
		found, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(n))})
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if found[0] != tlog.RecordHash(entry) {
			return fmt.Errorf("entry %d does not fit its hash", n)
		}
		proof, err := tlog.ProveRecord(tree.N, int64(n), hashes)
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(n), found[0]); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
	}
	fmt.Printf("ok: %d entries of %s\n", tree.N, verifier.Name())
	return nil
}

func checkReceipt(verifier note.Verifier, entryFile, proofFile string) error {
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	head, signed, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != proofHeader {
		return errors.New("not a tlog-proof")
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint(verifier, []byte(signed))
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Printf("ok: entry %d of %d of %s\n", n, tree.N, verifier.Name())
	return nil
}

func checkGrown(verifier note.Verifier, oldFile, folder string) error {
	old, err := readCheckpoint(verifier, oldFile)
	if err != nil {
		return err
	}
	tree, err := readCheckpoint(verifier, filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	if tree.N < old.N {
		return fmt.Errorf("the log had %d entries and now has %d", old.N, tree.N)
	}
	proof, err := tlog.ProveTree(tree.N, old.N, tlog.TileHashReader(tree, tiles{folder}))
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return err
	}
	fmt.Printf("ok: %s grew from %d to %d entries\n", verifier.Name(), old.N, tree.N)
	return nil
}

func readCheckpoint(verifier note.Verifier, file string) (tlog.Tree, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	return openCheckpoint(verifier, text)
}

// openCheckpoint verifies the note and reads the three lines of a tlog-checkpoint.
func openCheckpoint(verifier note.Verifier, text []byte) (tlog.Tree, error) {
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("the checkpoint is of another log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return tlog.Tree{}, errors.New("the checkpoint has no size")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("the checkpoint has no root")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree, nil
}

// readEntries reads the bundles of an export: each entry after its length.
func readEntries(folder string, size int64) ([][]byte, error) {
	var entries [][]byte
	for int64(len(entries)) < size {
		width := size - int64(len(entries))
		if width > tileWidth {
			width = tileWidth
		}
		number := int64(len(entries)) / tileWidth
		tile := tlog.Tile{H: tileHeight, L: -1, N: number, W: int(width)}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		content, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return nil, err
		}
		for i := int64(0); i < width; i++ {
			if len(content) < 2 || len(content)-2 < int(binary.BigEndian.Uint16(content)) {
				return nil, fmt.Errorf("entry %d is cut off", len(entries))
			}
			end := 2 + int(binary.BigEndian.Uint16(content))
			entries = append(entries, content[2:end])
			content = content[end:]
		}
		if len(content) > 0 {
			return nil, fmt.Errorf("there is more than entry %d", len(entries)-1)
		}
	}
	return entries, nil
}

// tiles reads hashes as tlog-tiles lays them out: without the height in the path.
type tiles struct{ folder string }

func (t tiles) Height() int { return tileHeight }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		content, err := os.ReadFile(filepath.Join(t.folder, path))
		if err != nil {
			return nil, err
		}
		if len(content) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has the wrong length", path)
		}
		data = append(data, content)
	}
	return data, nil
}
