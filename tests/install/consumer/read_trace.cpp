// routesig::io: write a trace file and read it back.
#include <iostream>
#include <routesig/io/jsonl.hpp>

#include "recorded.hpp"

int main(int, char** argv) {
  routesig::save_jsonl(recorded().traces(), argv[1]);
  const routesig::TraceSet traces = routesig::read_jsonl(argv[1]);
  std::cout << traces.size() << " traces";
  for (const routesig::RoutingTrace& trace : traces)
    std::cout << ", " << trace.sequence().id << " " << trace.tokens() << " tokens";
  std::cout << '\n';
}
