// Any bytes as a trace file: traces, or one FormatError that names the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "routesig/io/jsonl.hpp"

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

void read(std::string_view bytes, bool recover) {
  try {
    std::size_t notes = 0;
    const routesig::TraceSet set = routesig::parse_jsonl(bytes, "fuzz", {.recover = recover},
                                                         [&](const std::string& note) { notes += note.size(); });
    expect(recover || set.complete());
    expect(set.complete() || notes > 0);  // what is lost is told
    for (const routesig::RoutingTrace& trace : set)
      for (int token = 0; token < trace.tokens(); ++token) (void)trace.state(trace.layers() - 1, token);
  } catch (const routesig::FormatError& error) {  // the only way to refuse
    expect(std::string_view(error.what()).starts_with("fuzz"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read(bytes, false);
  read(bytes, true);
  (void)routesig::looks_like_jsonl_trace(bytes);
  return 0;
}
