// Tests that run once for each back end, over sensors that they share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/probes/sensor_bed.h"
#include "tests/support/environment.h"

namespace sluice::test {

class SensorTest : public testing::TestWithParam<bpf::ProcessBackEnd> {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForBackEnd(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
    auto& shared = Shared()[GetParam()];
    if (shared == nullptr) {
      auto made = SensorBed::Create({.probes = {.back_end = GetParam()}});
      ASSERT_TRUE(made.ok()) << made.status();
      shared = std::move(*made);
    }
    bed_ = shared.get();
    ASSERT_TRUE(bed_->Settle().ok());
  }
  static void TearDownTestSuite() { Shared().clear(); }

  SensorBed& bed() { return *bed_; }

 private:
  static std::map<bpf::ProcessBackEnd, std::unique_ptr<SensorBed>>& Shared() {
    static std::map<bpf::ProcessBackEnd, std::unique_ptr<SensorBed>> shared;
    return shared;
  }
  SensorBed* bed_ = nullptr;
};

#define SL_FOR_EACH_BACK_END(suite)                                                                         \
  INSTANTIATE_TEST_SUITE_P(BackEnds, suite,                                                                 \
                           testing::Values(bpf::ProcessBackEnd::kTracepoint, bpf::ProcessBackEnd::kKprobe), \
                           [](const auto& info) { return std::string(bpf::ToString(info.param)); })

}  // namespace sluice::test
