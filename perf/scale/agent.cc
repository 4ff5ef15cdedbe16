#include "perf/scale/agent.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "perf/agent_child.h"
#include "perf/network.h"
#include "perf/orderly_end.h"
#include "perf/scale/world.h"

namespace sluice::perf {
namespace {

constexpr double kBytesOfMB = 1e6;

// Makes a directory for --resources.
StatusOr<std::string> WriteResources(const Scratch& scratch, const std::string& yaml) {
  std::string directory = scratch.directory() + "/resources";
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  std::ofstream file(directory + "/all.yaml");
  file << yaml;
  file.close();
  if (!file) return ErrnoError(errno, "write {}", directory);
  return directory;
}

std::string IdleInterface(int number) { return fmt::format("idle{}", number); }

std::string IdleYaml(int workloads) {
  std::string yaml;
  for (int i = 0; i < workloads; ++i)
    fmt::format_to(std::back_inserter(yaml),
                   "---\n{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: w{0}, namespace: bench, "
                   "labels: {{app: w{0}}}}}, spec: {{hostInterface: {1}, ips: [10.9.{2}.{3}]}}}}\n"
                   "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p{0}, namespace: "
                   "bench}}, spec: {{podSelector: {{matchLabels: {{app: w{0}}}}}, ingress: [{{from: [{{podSelector: "
                   "{{matchLabels: {{app: w{4}}}}}}}], ports: [{{port: 80}}]}}]}}}}\n",
                   i, IdleInterface(i), (i + 1) / 256, (i + 1) % 256, (i + 1) % workloads);
  return yaml;
}

StatusOr<double> CpuPercent(const AgentChild& agent, double seconds) {
  SL_ASSIGN_OR_RETURN(const double before, agent.CpuSeconds());
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  SL_ASSIGN_OR_RETURN(const double after, agent.CpuSeconds());
  return (after - before) / seconds * 100;
}

}  // namespace

Status MeasureAgentStart(std::uint32_t identities, int runs, Rows* rows) {
  const std::string name = fmt::format("identities:{}", identities);
  SL_ASSIGN_OR_RETURN(const Scratch scratch, Scratch::Create());
  SL_ASSIGN_OR_RETURN(const std::string directory, WriteResources(scratch, IdentitiesYaml(identities, "pod")));
  for (int run = 0; run < runs; ++run) {
    SL_RETURN_IF_ERROR(scratch.Clear());
    for (const char* const start : {"/start", "/restart"}) {
      SL_ASSIGN_OR_RETURN(const auto agent, AgentChild::Start(scratch, {"--resources", directory}));
      rows->Add(name + start, "ms", agent->start_ms());
      SL_ASSIGN_OR_RETURN(const double resident, agent->ResidentBytes());
      if (std::string_view(start) == "/start") rows->Add(name + "/resident", "MB", resident / kBytesOfMB);
      SL_RETURN_IF_ERROR(agent->Stop());
    }
  }
  return OkStatus();
}

Status MeasureIdleAgent(const IdleRun& run, Rows* rows) {
  const std::string name = fmt::format("idle/workloads:{}", run.workloads);
  std::string lines;
  for (int i = 0; i < run.workloads; ++i)
    lines += fmt::format("link add {0} type veth peer name p{0}\nlink set {0} up\n", IdleInterface(i));
  SL_RETURN_IF_ERROR(RunIp(lines));
  SL_ASSIGN_OR_RETURN(const Scratch scratch, Scratch::Create());
  SL_ASSIGN_OR_RETURN(const std::string directory, WriteResources(scratch, IdleYaml(run.workloads)));
  for (const bool sensors : {true, false}) {
    if (!sensors && !run.without_sensors) break;
    std::vector<std::string> arguments = {"--resources", directory};
    if (!sensors) arguments.insert(arguments.end(), {"--process-sensors", "off"});
    SL_ASSIGN_OR_RETURN(const auto agent, AgentChild::Start(scratch, arguments));
    for (int i = 0; i < run.runs; ++i) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      SL_ASSIGN_OR_RETURN(const double percent, CpuPercent(*agent, run.seconds));
      rows->Add(name + (sensors ? "/cpu" : "/cpu/sensors-off"), "% of a core", percent);
      SL_ASSIGN_OR_RETURN(const double resident, agent->ResidentBytes());
      rows->Add(name + (sensors ? "/resident" : "/resident/sensors-off"), "MB", resident / kBytesOfMB);
      SL_ASSIGN_OR_RETURN(const double maps, agent->ResidentMapBytes());
      if (sensors) rows->Add(name + "/resident/bpf-maps", "MB", maps / kBytesOfMB);
    }
    SL_RETURN_IF_ERROR(agent->Stop());
  }
  return OkStatus();
}

}  // namespace sluice::perf
