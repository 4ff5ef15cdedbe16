#include "base/capability.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Capability, NamesAndNumbersWithoutOne) {
  EXPECT_EQ(CapabilityName(0), "CAP_CHOWN");
  EXPECT_EQ(CapabilityName(12), "CAP_NET_ADMIN");
  EXPECT_EQ(CapabilityName(40), "CAP_CHECKPOINT_RESTORE");
  EXPECT_EQ(CapabilityName(63), "CAP_63");
}

}  // namespace
}  // namespace sluice
