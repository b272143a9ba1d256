// routesig::core alone: record, condense, compare.
#include <iostream>

#include "recorded.hpp"

int main() {
  const routesig::TraceRecorder recorder = recorded();
  const auto a = routesig::signature(recorder.traces()[0]);
  const auto b = routesig::signature(recorder.traces()[1]);
  std::cout << "similarity " << routesig::similarity(a, b) << '\n';
}
