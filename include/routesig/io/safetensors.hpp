/// \file safetensors.hpp
/// Weights in safetensors files: a strict reader that maps files and reads nothing but their headers.
///
///     const auto weights = routesig::Safetensors::open("OLMoE-1B-7B-0125-Instruct");   // a folder, or one file
///     const routesig::Tensor& norm = weights.at("model.norm.weight");
///     // norm.dtype, norm.shape and norm.data: bytes inside the map, valid as long as `weights` or a copy of it lives
///
/// A file is 8 bytes of little-endian header length, a JSON header, and the tensors' bytes. Refused, each in one
/// sentence: a header above 100,000,000 bytes or beyond the file; anything but strict JSON in valid UTF-8; repeated
/// names; fields beside dtype, shape and data_offsets; unknown dtypes; more than kMaxRank dimensions; shapes whose
/// product overflows or disagrees with the extent; gaps, overlaps and bytes that no tensor owns; a header that would
/// take more memory than twice the file and 1 MiB. Pickles are never read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "routesig/error.hpp"

namespace routesig {

/// Element types, little-endian.
enum class DType : std::uint8_t {
  boolean,
  u8,
  i8,
  f8_e4m3,
  f8_e5m2,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  i64,
  u64,
  f64
};

/// As the files write it: "BF16".
[[nodiscard]] std::string_view name(DType dtype) noexcept;
/// Bytes of one element.
[[nodiscard]] std::size_t item_size(DType dtype) noexcept;

/// Dimensions of one tensor, at most.
inline constexpr std::size_t kMaxRank = 8;

struct Tensor {
  std::string name{};
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape{};  ///< row-major; empty for a single number
  std::span<const std::byte> data{};  ///< may begin at any address: copy before reading as numbers
};

/// `[64, 2048]`
[[nodiscard]] std::string shape_text(std::span<const std::int64_t> shape);

/// What the header of one file says; every extent is checked against the file.
struct SafetensorsHeader {
  std::vector<Tensor> tensors{};                  ///< in the order of their names
  std::map<std::string, std::string> metadata{};  ///< `__metadata__`
};

/// Parses one whole file that lies in memory; `path` is for messages. Throws FormatError. Touches nothing behind the
/// header.
[[nodiscard]] SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& path);

/// The tensors of a checkpoint, in one file or several. Immutable, and cheap to copy: copies share the maps.
class Safetensors {
 public:
  /// A `.safetensors` file, a `.safetensors.index.json`, or a folder that holds `model.safetensors`, else
  /// `model.safetensors.index.json` with its shards: plain file names inside the folder, and every tensor in exactly
  /// the shard that the index gives it. Throws FormatError or FileError.
  [[nodiscard]] static Safetensors open(const std::filesystem::path& folder_or_file);

  /// Null where there is no such tensor.
  [[nodiscard]] const Tensor* find(std::string_view name) const noexcept;
  /// Throws FormatError naming the checkpoint and the tensor.
  [[nodiscard]] const Tensor& at(std::string_view name) const;
  /// All tensors, in the order of their names.
  [[nodiscard]] std::span<const Tensor> tensors() const noexcept;
  /// `__metadata__` of the first file.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept;
  /// What was opened: the file, or the index.
  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  /// Copies the bytes of one of `tensors()`: [tensor.data.size()]. Unlike a look at `data`, which somebody who shortens
  /// the file in place turns into SIGBUS, it throws FileError then.
  void read(const Tensor& tensor, std::span<std::byte> out) const;

 private:
  struct Data;
  explicit Safetensors(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

  std::shared_ptr<const Data> data_;
};

}  // namespace routesig
