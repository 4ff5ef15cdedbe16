// Checks which rights a test has on this machine, and skips or fails the test when one is missing.
//   TEST(Binder, FindsTheVeth) {
//     SL_REQUIRE_NETNS();
// A test without a right is skipped with the right's name; with SLUICE_REQUIRE_BPF=1 in the environment it fails.
#pragma once

#include <string>

namespace sluice::test {

// Empty: the right exists. Else names what is refused, and the error.
std::string MissingNetNsRight();
std::string MissingBpfRight();
// The same for promtool, which scripts/install-deps installs.
std::string MissingPromtool();

bool SkippingIsForbidden();

}  // namespace sluice::test

// Use it in a test body, SetUp or any other function that returns void and includes gtest.
#define SL_SKIP_OR_FAIL_IF(missing)                                  \
  do {                                                               \
    const std::string sl_missing = (missing);                        \
    if (sl_missing.empty()) break;                                   \
    if (::sluice::test::SkippingIsForbidden()) FAIL() << sl_missing; \
    GTEST_SKIP() << sl_missing;                                      \
  } while (false)
#define SL_REQUIRE_NETNS() SL_SKIP_OR_FAIL_IF(::sluice::test::MissingNetNsRight())
#define SL_REQUIRE_BPF() SL_SKIP_OR_FAIL_IF(::sluice::test::MissingBpfRight())
