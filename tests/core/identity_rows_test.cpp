#include "routesig/identity_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/traces.hpp"

namespace routesig {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::shape;
using testing::trace_of;

TEST(IdentityRows, WorkedByHand) {
  // Two layers, top-2; - is an identity row, ? one that is not known.
  const ExpertId no = kNoExpert;
  const auto found = identity_rows(trace_of(shape(2, 8, 2),
                                            {
                                                0,  1,  0,  1,   // - -
                                                0,  1,  3,  2,   // -
                                                1,  0,  0,  1,   // the other order is none
                                                no, no, 0,  1,   // ? -
                                                0,  1,  no, no,  // - ?
                                                no, no, no, no,  // ? ?
                                                5,  1,  2,  7,
                                            },
                                            7));
  EXPECT_THAT(found.rows, ElementsAre(3U, 3U));
  EXPECT_THAT(found.runs, ElementsAre(2U, 2U));
  EXPECT_THAT(found.tokens, ElementsAre(0U, 3U, 4U));
}

TEST(IdentityRows, AnImpossibleRowIsNone) {
  // [0, 0] is no identity, and a token with such a row is not all identity.
  const auto found = identity_rows(trace_of(shape(2, 8, 2), {0, 1, 0, 0}, 1));
  EXPECT_THAT(found.rows, ElementsAre(1U, 0U));
  EXPECT_THAT(found.tokens, IsEmpty());
}

TEST(IdentityRows, RandomRoutingHasNone) {
  EXPECT_THAT(identity_rows(testing::random_trace(shape(4, 16, 4), 500, 500, 1)).tokens, IsEmpty());
}

TEST(IdentityRows, OfNoTokensAreNone) {
  const auto found = identity_rows(trace_of(shape(2, 8, 2), {}, 0));
  EXPECT_THAT(found.rows, ElementsAre(0U, 0U));
  EXPECT_THAT(found.tokens, IsEmpty());
}

}  // namespace
}  // namespace routesig
