// Tests that run once for each back end, over shared sensors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <map>

#include "tests/probes/sensor_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {

inline std::string True() { return std::filesystem::canonical("/bin/true"); }
inline std::string Cat() { return std::filesystem::canonical("/bin/cat"); }
inline std::string Shell() { return std::filesystem::canonical("/bin/sh"); }
inline std::string Self() { return std::filesystem::canonical("/proc/self/exe"); }
inline constexpr uid_t kNobody = 65534;

class SensorTest : public testing::TestWithParam<bpf::ProcessBackEnd> {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForBackEnd(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
    auto& shared = Shared()[GetParam()];
    if (shared == nullptr) {
      auto made = SensorFixture::Create({.probes = {.back_end = GetParam()}});
      ASSERT_TRUE(made.ok()) << made.status();
      shared = std::move(*made);
    }
    fixture_ = shared.get();
    ASSERT_TRUE(fixture_->Settle().ok());
  }
  static void TearDownTestSuite() { Shared().clear(); }

  SensorFixture& fixture() { return *fixture_; }

 private:
  static std::map<bpf::ProcessBackEnd, std::unique_ptr<SensorFixture>>& Shared() {
    static std::map<bpf::ProcessBackEnd, std::unique_ptr<SensorFixture>> shared;
    return shared;
  }
  SensorFixture* fixture_ = nullptr;
};

#define SL_FOR_EACH_BACK_END(suite)                                                                         \
  INSTANTIATE_TEST_SUITE_P(BackEnds, suite,                                                                 \
                           testing::Values(bpf::ProcessBackEnd::kTracepoint, bpf::ProcessBackEnd::kKprobe), \
                           [](const auto& info) { return std::string(bpf::ToString(info.param)); })

}  // namespace sluice::test
