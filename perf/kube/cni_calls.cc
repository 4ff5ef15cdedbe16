#include "perf/kube/cni_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "perf/elapsed.h"
#include "perf/orderly_end.h"
#include "perf/own_directory.h"
#include "testbed/command.h"

namespace sluice::perf {
namespace {

constexpr char kFloorOfCni[] = "floor/cni/start-a-program";
constexpr char kFloorAtOnce[] = "floor/cni/start-a-program/at-once";
constexpr char kNothing[] = "/bin/true";

std::string ConfigOf(const CniCalls& calls, const test::TestPod& pod) {
  return fmt::format(
      R"({{"cniVersion": "1.0.0", "name": "net", "type": "sluice-cni", "socket": "{}", "prevResult": {{"cniVersion":
          "1.0.0", "interfaces": [{{"name": "{}"}}, {{"name": "eth0", "sandbox": "{}"}}], "ips": [{{"address": "{}/32",
          "interface": 1}}]}}}})",
      calls.socket, pod.host_interface, pod.netns_path, pod.ip4);
}

// Milliseconds of one call. `program`: its name beside sluice-bench, or a path.
StatusOr<double> Call(const CniCalls& calls, const std::string& command, const std::string& program,
                      const std::string& name) {
  const test::TestPod& pod = calls.node.pod(name);
  const test::Arguments arguments = {
      "/usr/bin/env",
      "CNI_COMMAND=" + command,
      "CNI_CONTAINERID=sandbox-" + name,
      "CNI_NETNS=" + pod.netns_path,
      "CNI_IFNAME=eth0",
      "CNI_PATH=/",
      fmt::format("CNI_ARGS=K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_UID=uid-{}", calls.ns, name, name),
      program};
  const std::string config = ConfigOf(calls, pod);
  double took = 0;
  SL_RETURN_IF_ERROR(calls.node.Run([&]() -> Status {
    const auto start = Clock::now();
    const Status ran = test::RunChecked(arguments, config);
    took = MillisecondsSince(start);
    return Annotate(ran, fmt::format("{} of pod {}", command, name));
  }));
  return took;
}

double Percentile99(std::vector<double> samples) {
  std::ranges::sort(samples);
  return samples[std::min(samples.size() - 1, samples.size() * 99 / 100)];
}

void AddSamples(const std::string& name, const std::string& floor, const std::vector<double>& samples, Rows* rows) {
  for (const double sample : samples) rows->Add(name, "ms", sample, {floor});
  rows->Add(name + "/p99", "ms", Percentile99(samples));
}

StatusOr<std::vector<double>> CallAtOnce(const CniCalls& calls, const std::string& program,
                                         const std::vector<std::string>& pods) {
  std::vector<StatusOr<double>> results(pods.size(), Status(absl::StatusCode::kInternal, "not called"));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < pods.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = Call(calls, "ADD", program, pods[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> samples;
  for (const auto& result : results) {
    if (!result.ok()) return result.status();
    samples.push_back(*result);
  }
  return samples;
}

}  // namespace

Status MeasureCni(const CniCalls& calls, const std::vector<std::string>& pods, int rounds, Rows* rows) {
  const std::string plugin = OwnDirectory() + "/sluice-cni";
  const auto remove_all = [&]() -> Status {
    for (const std::string& pod : pods) SL_RETURN_IF_ERROR(Call(calls, "DEL", plugin, pod).status());
    return OkStatus();
  };
  for (int round = 0; round < rounds; ++round) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    std::vector<double> samples;
    for (const std::string& pod : pods) {
      SL_ASSIGN_OR_RETURN(const double floor, Call(calls, "ADD", kNothing, pod));
      rows->Add(kFloorOfCni, "ms", floor);
      SL_ASSIGN_OR_RETURN(const double sample, Call(calls, "ADD", plugin, pod));
      samples.push_back(sample);
    }
    AddSamples("cni/add", kFloorOfCni, samples, rows);
    SL_RETURN_IF_ERROR(remove_all());
    SL_ASSIGN_OR_RETURN(samples, CallAtOnce(calls, kNothing, pods));
    for (const double sample : samples) rows->Add(kFloorAtOnce, "ms", sample);
    SL_ASSIGN_OR_RETURN(samples, CallAtOnce(calls, plugin, pods));
    AddSamples("cni/add/at-once", kFloorAtOnce, samples, rows);
    SL_RETURN_IF_ERROR(remove_all());
  }
  return OkStatus();
}

}  // namespace sluice::perf
