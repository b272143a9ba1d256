#include "routesig/recorder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace routesig {
namespace {

struct Log final : RoutingRecorder {
  Log(std::string& text, RoutingNeeds wanted) : out(&text), wants(wanted) {}
  RoutingNeeds needs() const override { return wants; }
  void begin(const RoutingInfo&) override { *out += "begin "; }
  void begin_sequence(int s, const SequenceInfo&) override { *out += sentence("+", s, " "); }
  void step(const StepRows& rows) override { *out += sentence("step", rows.rows(), " "); }
  void layer(const LayerRouting& r) override { *out += sentence("layer", r.layer, " "); }
  void end_sequence(int s) override { *out += sentence("-", s, " "); }
  void end() override { *out += "end "; }
  std::string* out;
  RoutingNeeds wants;
};

TEST(TeeRecorder, PassesEverythingOnInOrder) {
  std::string a, b;
  Log first(a, {.weights = true}), second(b, {.logits = true});
  TeeRecorder tee({&first, &second});
  EXPECT_TRUE(tee.needs().weights && tee.needs().logits);
  const std::vector<std::int32_t> zero{0};
  const std::vector<TokenType> type{TokenType::prompt};
  const std::vector<ExpertId> experts{3};
  tee.begin({.layers = 1, .experts = 4, .top_k = 1});
  tee.begin_sequence(0, {});
  tee.step({.sequence = zero, .position = zero, .token = zero, .type = type});
  tee.layer({.layer = 0, .experts = experts});
  tee.end_sequence(0);
  tee.end();
  EXPECT_EQ(a, "begin +0 step1 layer0 -0 end ");
  EXPECT_EQ(b, a);
}

TEST(TeeRecorder, NeedsNothingWhereNobodyDoes) {
  const TeeRecorder none({});
  EXPECT_FALSE(none.needs().weights || none.needs().logits);
  EXPECT_THROW(TeeRecorder({nullptr}), std::invalid_argument);
}

TEST(RoutingInfo, RefusesImpossibleShapes) {
  EXPECT_NO_THROW((RoutingInfo{.layers = 1, .experts = 1, .top_k = 1}.check()));
  EXPECT_NO_THROW((RoutingInfo{.layers = 1, .experts = kMaxExperts, .top_k = 8}.check()));
  for (const RoutingInfo& bad : {RoutingInfo{.layers = 0, .experts = 4, .top_k = 1},
                                 {.layers = 1, .experts = 0, .top_k = 1},
                                 {.layers = 1, .experts = 4, .top_k = 0},
                                 {.layers = 1, .experts = 4, .top_k = 5},
                                 {.layers = 1, .experts = kMaxExperts + 1, .top_k = 5},
                                 {.layers = 2, .experts = 4, .top_k = 1, .model_layers = {1}}})
    EXPECT_THROW(bad.check(), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
