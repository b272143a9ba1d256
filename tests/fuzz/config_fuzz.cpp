// Any text as config.json: a checked configuration, or one FormatError that names the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "routesig/model/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto config = routesig::parse_olmoe_config({reinterpret_cast<const char*>(data), size}, "fuzz");
    config.routing().check();
    if (config.head_dim * config.num_attention_heads != config.hidden_size) std::abort();
  } catch (const routesig::FormatError& error) {  // the only way to refuse
    if (!std::string_view(error.what()).starts_with("fuzz")) std::abort();
  }
  return 0;
}
