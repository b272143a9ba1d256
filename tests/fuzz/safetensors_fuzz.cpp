// Any bytes as a safetensors file: checked tensors inside the file, or one FormatError that names it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "routesig/io/safetensors.hpp"

namespace {

// What a reader of the header relies on; anything else is a finding.
bool holds(std::span<const std::byte> file, const routesig::SafetensorsHeader& header) {
  std::size_t total = 0;
  for (const routesig::Tensor& tensor : header.tensors) {
    std::size_t bytes = routesig::item_size(tensor.dtype);
    for (const std::int64_t dimension : tensor.shape) bytes *= static_cast<std::size_t>(dimension);
    const bool inside = tensor.data.data() >= file.data() && tensor.data.data() + bytes <= file.data() + file.size();
    if (tensor.data.size() != bytes || !inside) return false;
    total += bytes;
  }
  return total <= file.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    if (!holds(file, routesig::parse_safetensors_header(file, "fuzz"))) std::abort();
  } catch (const routesig::FormatError& error) {  // the only way to refuse
    if (!std::string_view(error.what()).starts_with("fuzz")) std::abort();
  }
  return 0;
}
