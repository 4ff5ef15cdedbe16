// Every line of the table in docs/kubearmor-policy.md has a test here.
#include "tests/lsm/feature_lines.h"

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <string>

namespace sluice::test {
namespace {

TEST(LsmFeatureLines, HaveTests) {
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (const FeatureLine& line : kFeatureLines) {
    int tests = 0;
    const std::string pattern = "*" + std::string(line.test);
    for (int i = 0; i < all.total_test_suite_count(); ++i) {
      const testing::TestSuite& suite = *all.GetTestSuite(i);
      for (int j = 0; j < suite.total_test_count(); ++j) {
        const std::string name = std::string(suite.name()) + "." + suite.GetTestInfo(j)->name();
        tests += fnmatch(pattern.c_str(), name.c_str(), 0) == 0 ? 1 : 0;
      }
    }
    EXPECT_GT(tests, 0) << line.feature << ": " << line.test;
  }
}

}  // namespace
}  // namespace sluice::test
