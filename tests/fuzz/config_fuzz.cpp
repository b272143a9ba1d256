// Any text as config.json: a checked configuration, or one FormatError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "routesig/model/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto config = routesig::parse_olmoe_config({reinterpret_cast<const char*>(data), size}, "fuzz");
    config.routing().check();
    if (config.head_dim * config.num_attention_heads != config.hidden_size) std::abort();
  } catch (const routesig::FormatError&) {  // the only way to refuse
  }
  return 0;
}
