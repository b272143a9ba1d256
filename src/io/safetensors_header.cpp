// One safetensors file: from its bytes to checked tensors.
#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>

#include "json_cursor.hpp"
#include "routesig/io/safetensors.hpp"

namespace routesig {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // bytes; the format's own limit
constexpr std::size_t kPrefix = 8;                 // bytes of the header's length
constexpr std::size_t kFree = 1U << 20U;           // bytes of memory that any header may take
constexpr std::size_t kBlock = 24;                 // bytes that an allocation costs beside its contents, at most

struct DTypeEntry {
  std::string_view name;
  std::size_t size;  // bytes
};

// In the order of DType.
constexpr std::array<DTypeEntry, 15> kDTypes{{{"BOOL", 1},
                                              {"U8", 1},
                                              {"I8", 1},
                                              {"F8_E4M3", 1},
                                              {"F8_E5M2", 1},
                                              {"I16", 2},
                                              {"U16", 2},
                                              {"F16", 2},
                                              {"BF16", 2},
                                              {"I32", 4},
                                              {"U32", 4},
                                              {"F32", 4},
                                              {"I64", 8},
                                              {"U64", 8},
                                              {"F64", 8}}};

// The bytes that a shape takes. Dimensions of zero do not hide an overflow of the others. False on overflow.
bool byte_size(const std::vector<std::int64_t>& shape, std::size_t item, std::uint64_t& bytes) {
  std::uint64_t product = item;
  for (const std::int64_t dimension : shape)
    if (dimension != 0 && __builtin_mul_overflow(product, static_cast<std::uint64_t>(dimension), &product))
      return false;
  bytes = std::ranges::find(shape, 0) == shape.end() ? product : 0;
  return product <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

// Memory stays below twice the file and 1 MiB: the strings of a header take no more than its text, and what is kept
// beside them is counted against the size of the file. Only tens of thousands of empty tensors or of metadata entries,
// without a model's data behind them, come near.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::span<const std::byte> data, const std::string& path)
      : text_(text), data_(data), path_(path), json_(text, path, kPrefix), left_(text.size() + data.size() + kFree) {}

  SafetensorsHeader parse() {
    if (text_.empty() || text_.front() != '{')
      json_.fail(sentence("expected a header that begins with '{', found ", json_.next()));
    reserve();
    json_.object([&](std::string name) {
      if (name == "__metadata__")
        metadata();
      else
        tensor(std::move(name));
    });
    json_.finish();
    sort_by_name();
    check_layout();
    return std::move(header_);
  }

 private:
  void spend(std::size_t bytes) {
    if (bytes > left_)
      throw FormatError({.path = path_}, "the tensors and metadata of the header take more memory than twice the file");
    left_ -= bytes;
  }

  // One allocation: growing step by step would hold the list twice. A tensor names its offsets once, and no name can
  // hold these 14 bytes: its quotes would be escaped.
  void reserve() {
    constexpr std::string_view kOffsets = "\"data_offsets\"";
    std::size_t tensors = 0;
    for (std::size_t at = text_.find(kOffsets); at != std::string_view::npos; at = text_.find(kOffsets, at + 1))
      ++tensors;
    spend(tensors * (sizeof(Tensor) + sizeof(std::uint32_t) + 2 * kBlock));  // with its place in check_layout's order
    header_.tensors.reserve(tensors);
  }

  [[noreturn]] void fail(const Tensor& tensor, std::string_view problem) const {
    throw FormatError({.path = path_}, sentence("tensor ", shown(tensor.name, 120), ": ", problem));
  }

  void metadata() {
    if (std::exchange(has_metadata_, true)) json_.fail("\"__metadata__\" stands twice in the header");
    json_.object([&](std::string key) {
      spend(sizeof(std::pair<std::string, std::string>) + 4 * sizeof(void*) + 3 * kBlock);  // a node of the map
      const auto [slot, added] = header_.metadata.try_emplace(std::move(key));
      if (!added) json_.fail(sentence("the metadata key ", shown(slot->first), " stands twice"));
      slot->second = json_.string();
    });
  }

  void tensor(std::string name) {
    Tensor& tensor = header_.tensors.emplace_back();
    tensor.name = std::move(name);
    std::array<bool, 3> seen{};
    std::array<std::uint64_t, 2> extent{};
    json_.object([&](const std::string& field) {
      constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};
      const auto which = static_cast<std::size_t>(std::ranges::find(kFields, field) - kFields.begin());
      if (which == kFields.size())
        json_.fail(
            sentence("tensor ", shown(tensor.name), ": expected dtype, shape and data_offsets, found ", shown(field)));
      if (std::exchange(seen[which], true))
        json_.fail(sentence("tensor ", shown(tensor.name), ": ", field, " stands twice"));
      if (which == 0) tensor.dtype = dtype(tensor);
      if (which == 1) shape(tensor);
      if (which == 2) extent = offsets(tensor);
    });
    if (seen != std::array{true, true, true}) fail(tensor, "expected dtype, shape and data_offsets, one is missing");
    check_extent(tensor, extent);
  }

  DType dtype(const Tensor& tensor) {
    const std::size_t at = json_.position();
    const std::string found = json_.string();
    const auto known = std::ranges::find(kDTypes, std::string_view(found), &DTypeEntry::name);
    if (known == kDTypes.end())
      json_.fail_at(
          at,
          sentence("tensor ", shown(tensor.name), ": unknown dtype ", shown(found),
                   "; known are BOOL, U8, I8, F8_E4M3, F8_E5M2, I16, U16, F16, BF16, I32, U32, F32, I64, U64, F64"));
    return static_cast<DType>(known - kDTypes.begin());
  }

  void shape(Tensor& tensor) {
    std::array<std::int64_t, kMaxRank> dimensions{};
    std::size_t rank = 0;
    json_.array([&] {
      if (rank == kMaxRank)
        json_.fail(sentence("tensor ", shown(tensor.name), ": more than ", kMaxRank, " dimensions"));
      dimensions[rank++] = json_.unsigned_integer();
    });
    spend(rank * sizeof(std::int64_t));
    tensor.shape.assign(dimensions.begin(), dimensions.begin() + static_cast<std::ptrdiff_t>(rank));
  }

  std::array<std::uint64_t, 2> offsets(const Tensor& tensor) {
    std::array<std::uint64_t, 2> extent{};
    std::size_t count = 0;
    const std::size_t at = json_.position();
    json_.array([&] {
      const auto offset = static_cast<std::uint64_t>(json_.unsigned_integer());
      if (count < 2) extent[count] = offset;
      ++count;
    });
    if (count != 2)
      json_.fail_at(at, sentence("tensor ", shown(tensor.name), ": expected 2 data_offsets, found ", count));
    return extent;
  }

  void check_extent(Tensor& tensor, const std::array<std::uint64_t, 2>& extent) {
    const auto [begin, end] = extent;
    if (begin > end || end > data_.size())
      fail(tensor, sentence("expected data_offsets within the ", data_.size(), " bytes after the header, found [",
                            begin, ", ", end, "]"));
    std::uint64_t bytes = 0;
    if (!byte_size(tensor.shape, item_size(tensor.dtype), bytes))
      fail(tensor, sentence("the shape ", shape_text(tensor.shape), " is too large for any file"));
    if (bytes != end - begin)
      fail(tensor, sentence("expected ", bytes, " bytes for ", name(tensor.dtype), " ", shape_text(tensor.shape),
                            ", data_offsets hold ", end - begin));
    tensor.data = data_.subspan(begin, bytes);
  }

  // Tensors in the order of their bytes follow each other from the first byte to the last.
  void check_layout() const {
    std::vector<std::uint32_t> order(header_.tensors.size());  // a header of 100 MB holds fewer than 2^32 tensors
    std::iota(order.begin(), order.end(), 0U);
    const auto extent = [&](std::uint32_t i) {
      const auto& data = header_.tensors[i].data;
      return std::pair(data.data() - data_.data(), data.size());
    };
    std::ranges::sort(order, {}, extent);
    std::ptrdiff_t expected = 0;
    for (const std::uint32_t i : order) {
      const auto [begin, size] = extent(i);
      if (begin != expected)
        fail(header_.tensors[i],
             sentence("expected its data to begin at ", expected, ", where the tensor before it ends, found ", begin));
      expected = begin + static_cast<std::ptrdiff_t>(size);
    }
    if (std::cmp_not_equal(expected, data_.size()))
      throw FormatError({.path = path_},
                        sentence("expected the data to end at byte ", expected,
                                 " after the header, as the tensors say, found ", data_.size(), " bytes"));
  }

  void sort_by_name() {
    std::ranges::sort(header_.tensors, {}, &Tensor::name);
    const auto twice = std::ranges::adjacent_find(header_.tensors, {}, &Tensor::name);
    if (twice != header_.tensors.end()) fail(*twice, "the name stands twice in the header");
  }

  std::string_view text_;
  std::span<const std::byte> data_;
  const std::string& path_;
  JsonCursor json_;
  std::size_t left_;  // bytes of memory
  SafetensorsHeader header_;
  bool has_metadata_ = false;
};

}  // namespace

std::string_view name(DType dtype) noexcept { return kDTypes[static_cast<std::size_t>(dtype)].name; }

std::size_t item_size(DType dtype) noexcept { return kDTypes[static_cast<std::size_t>(dtype)].size; }

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (const std::int64_t dimension : shape) out += sentence(out.size() > 1 ? ", " : "", dimension);
  return out + ']';
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& path) {
  if (file.size() < kPrefix)
    throw FormatError({.path = path}, sentence("expected at least 8 bytes of safetensors, found ", file.size()));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kPrefix; ++i) length |= std::to_integer<std::uint64_t>(file[i]) << (8U * i);
  if (length > kMaxHeader)
    throw FormatError({.path = path, .byte = 0},
                      sentence("expected a header of at most ", kMaxHeader, " bytes, found a length of ", length));
  if (length > file.size() - kPrefix)
    throw FormatError({.path = path, .byte = 0}, sentence("expected a header of ", length, " bytes, found ",
                                                          file.size() - kPrefix, ": the file is cut short"));
  const auto header = file.subspan(kPrefix, length);
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  return HeaderParser(text, file.subspan(kPrefix + length), path).parse();
}

}  // namespace routesig
