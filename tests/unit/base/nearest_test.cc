#include "base/nearest.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Nearest, TypingErrorsBeginningsAndCapitals) {
  const std::vector<std::string> words = {"POLICY_DENIED", "QUARANTINED", "observe"};
  EXPECT_EQ(Nearest(words, "POLICY_DENYED"), "POLICY_DENIED");
  EXPECT_EQ(Nearest(words, "quarantine"), "QUARANTINED");
  EXPECT_EQ(Nearest(words, "obsreve"), "observe");
  EXPECT_EQ(Nearest(words, "frobnicate"), "");
  EXPECT_EQ(Nearest({}, "x"), "");
}

}  // namespace
}  // namespace sluice
