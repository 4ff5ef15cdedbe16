// One case of the suite `rate`, ready for repeated measurement.
#pragma once

#include <memory>
#include <vector>

#include "kernel/capture/capture_rings.h"
#include "perf/net/sluice_node.h"
#include "perf/rate/case.h"

namespace sluice::perf {

class RateRunner {
 public:
  // Makes the topology, loads the rules, and checks with a few packets that the rules do what the case needs.
  static StatusOr<std::unique_ptr<RateRunner>> Create(const RateCase& what);

  // Thousand packets a second, for each of the case's rows. An error when one packet was forwarded, dropped or counted
  // wrongly.
  StatusOr<std::vector<double>> Measure();

 private:
  explicit RateRunner(const RateCase& what) : what_(what) {}
  Status Build();
  Status AnswerFlows();
  Status SendEachFlow(bool checked);
  StatusOr<Load> NextLoad();
  StatusOr<Passage> SendChecked(const Load& load, bool passes);
  StatusOr<Passage> SendCounted();
  StatusOr<std::vector<double>> MeasureDpdkSink();
  Status MeasureWatched(std::vector<double>* samples);
  Status MeasureCaptured(std::vector<double>* samples);
  StatusOr<std::vector<double>> MeasureBesideFlood();
  // By outcome.
  struct Expected {
    std::uint64_t passed = 0;
    std::uint64_t denied = 0;
  };
  Status CheckCounters(const datapath::Counters& before, const datapath::Counters& after,
                       const Expected& packets) const;

  const RateCase what_;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<SluiceNode> sluice_;
  std::unique_ptr<capture::CaptureRings> rings_;  // with captures; uses sluice_
  std::uint64_t next_flow_ = 0;                   // the first unused flow
  std::uint64_t events_lost_ = 0;                 // during the last SendCounted
};

}  // namespace sluice::perf
