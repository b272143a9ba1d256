// routesig::model: load a checkpoint, record one prompt.
#include <iostream>
#include <routesig/model/olmoe.hpp>
#include <routesig/routesig.hpp>
#include <vector>

int main(int, char** argv) {
  const auto model = routesig::OlmoeModel::load(argv[1]);
  routesig::TraceRecorder recorder;
  const std::vector<routesig::TokenIds> prompts{{5, 17, 300}};
  const auto logits = model.forward(prompts, &recorder);
  const routesig::RoutingTrace& trace = recorder.traces()[0];
  std::cout << trace.layers() << " layers, " << trace.tokens() << " tokens, "
            << (logits[0].size() / prompts[0].size() > 0 ? "logits" : "no logits") << '\n';
}
