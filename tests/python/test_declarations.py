"""What the C++ pages show of a header: declarations with their comments, and nothing else."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs/_extensions"))

from declarations import declarations, split_opening  # noqa: E402

HEADERS = sorted((ROOT / "include/routesig").rglob("*.hpp"))

HEADER = """\
/// \\file shelf.hpp
/// A shelf.
///
///     Shelf shelf(3);
#pragma once

#include <vector>

namespace library {
namespace detail {
inline int secret() { return '}'; }
}  // namespace detail

/// How books stand.
enum class Order { title, author };

template <typename B>
concept Book = requires(const B& book) {
  { book.pages() } -> std::same_as<int>;
};

inline constexpr int kMost = 1'000;

/// A shelf of books.
template <Book B = Novel, typename Done = std::function<void()>>
class Shelf : public Furniture {
 public:
  explicit Shelf(Options options = {.order = Order::title}, int width = 3) noexcept
      : width_(width), books_{}, order_{options.order} {
    if (width < 1) throw "a { in text";
  }
  Shelf(const Board& board)  // NOLINT(google-explicit-constructor): a board is a shelf
      : Shelf(board.options()) {}

  /// The first book.
  [[nodiscard]] const B& operator[](int i) const noexcept { return books_[i]; }
  bool operator==(const Shelf&) const = default;
  std::function<void()> closed{};  ///< called at the end

 private:
  int width_ = 0;
  struct Hidden {
    int x;
  };
};

#ifdef FAST
inline void sort(Shelf<>& shelf);
#endif
/// Sorts.
template <typename S>
auto sort(S& shelf, int from = 0) -> std::vector<int> {
  const auto less = [](int a, int b) { return a < b; };
  return {};  // { not closed
}

}  // namespace library
"""

SHOWN = """\
/// How books stand.
enum class Order { title, author };

template <typename B>
concept Book = requires(const B& book) {
  { book.pages() } -> std::same_as<int>;
};

inline constexpr int kMost = 1'000;

/// A shelf of books.
template <Book B = Novel, typename Done = std::function<void()>>
class Shelf : public Furniture {
 public:
  explicit Shelf(Options options = {.order = Order::title}, int width = 3) noexcept;
  Shelf(const Board& board);

  /// The first book.
  [[nodiscard]] const B& operator[](int i) const noexcept;
  bool operator==(const Shelf&) const = default;
  std::function<void()> closed{};  ///< called at the end
};

inline void sort(Shelf<>& shelf);
/// Sorts.
template <typename S>
auto sort(S& shelf, int from = 0) -> std::vector<int>;"""


def test_bodies_private_parts_and_details_are_left_out():
    assert declarations(HEADER) == SHOWN


def test_the_opening_comment_loses_its_marks():
    assert split_opening(HEADER)[0] == "A shelf.\n\n    Shelf shelf(3);"


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.stem)
def test_a_real_header_is_shown_whole_and_without_code(header):
    text = header.read_text(encoding="utf-8")
    code = re.sub(r'//[^\n]*|"[^"\n]*"', "", declarations(text))
    assert code.count("{") == code.count("}")
    assert not re.search(r"\b(return|throw|if|for|while)\b", code)
    public = re.sub(r"(?s)\nnamespace detail \{.*?\n\}  // namespace detail", "", text)
    for name in re.findall(r"(?m)^(?:class|struct|enum class|concept) (\w+)\b(?!;)", public):
        assert re.search(rf"\b{name}\b", code), name


def test_every_public_header_is_on_the_page():
    """The page lists the headers of the CMake file sets, the analyses group by group."""
    lists = ["CMakeLists.txt", "src/CMakeLists.txt", "src/io/CMakeLists.txt", "src/model/CMakeLists.txt"]
    listed = "".join((ROOT / name).read_text(encoding="utf-8") for name in lists)
    shown = re.findall(r"```\{headers\} (\w+)", (ROOT / "docs/api/cpp.md").read_text(encoding="utf-8"))
    for group, nouns in re.findall(r"routesig_group\((\w+)\s([^)]*)\)", listed):
        assert group in shown
        listed += "".join(f"include/routesig/{group}/{noun}.hpp\n" for noun in nouns.split())
    for header in HEADERS:
        assert f"include/{header.relative_to(ROOT / 'include')}" in listed
