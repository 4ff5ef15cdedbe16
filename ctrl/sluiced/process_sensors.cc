#include "ctrl/sluiced/process_sensors.h"

#include "base/log.h"
#include "kernel/bpf/probe_pins.h"
#include "kernel/bpf/process_probes.h"
#include "kernel/bpf/socket_probes.h"

namespace sluice {
namespace {

constexpr char kOff[] = "off";
constexpr char kUnseen[] = "no exec and exit events, no processes in flows; enforcement is complete";

telemetry::WorkloadResolver MakeResolver(const reconcile::Controller* controller) {
  return [controller](const telemetry::ProcessInstance& instance) {
    static const std::string kUnknown;
    const std::string& cgroup = instance.cgroup_path == nullptr ? kUnknown : *instance.cgroup_path;
    return controller->view()->process_owners.Find(instance.namespaces.net, cgroup);
  };
}

telemetry::OwnerResolver MakeOwnerResolver(const reconcile::Controller* controller) {
  return [controller](const policy::ObjectName& name) -> std::shared_ptr<const policy::PodOwner> {
    const auto view = controller->view();
    const auto found = view->resources.find({policy::Kind::kWorkload, name});
    return found == view->resources.end() ? nullptr : (*found).second.workload->owner;
  };
}

}  // namespace

void SeedProcesses(const AgentOptions& options, const bpf::AdminCalls* calls) {
  if (options.process_sensors == kOff) return;
  const auto seed = [&]() -> Status {
    bpf::ProcessProbeOptions probes{
        .pin_root = options.bpf_root, .ring_bytes = options.process_ring_bytes, .admin_calls = calls};
    SL_ASSIGN_OR_RETURN(probes.back_end, bpf::ParseProcessBackEnd(options.process_sensors));
    SL_ASSIGN_OR_RETURN(const auto processes, bpf::ProcessProbes::Start(probes, [](const void*, std::size_t) {}));
    SL_RETURN_IF_ERROR(processes->Seed());
    return bpf::SocketProbes::Start({.pin_root = options.bpf_root, .admin_calls = calls}).status();
  };
  if (const Status status = seed(); !status.ok())
    LogWarn("process rules do not know any process yet: {}", Message(status));
}

void StartProcessSensors(const AgentOptions& options, const std::string& node, const bpf::AdminCalls* calls,
                         const reconcile::Controller* controller, telemetry::Telemetry* telemetry) {
  if (options.process_sensors == kOff) {
    const Status released = bpf::ReleaseProbes(bpf::PinLayout(options.bpf_root));
    if (!released.ok()) LogWarn("--process-sensors {}: {}", kOff, Message(released));
    return;
  }
  auto start = [&]() -> Status {
    telemetry::ProcessSensor::Options sensor;
    sensor.node = node;
    SL_ASSIGN_OR_RETURN(sensor.probes.back_end, bpf::ParseProcessBackEnd(options.process_sensors));
    sensor.probes.pin_root = options.bpf_root;
    sensor.probes.ring_bytes = options.process_ring_bytes;
    sensor.probes.admin_calls = calls;
    sensor.names = {.workload = MakeResolver(controller), .owner = MakeOwnerResolver(controller)};
    SL_ASSIGN_OR_RETURN(sensor.redaction, telemetry::Redaction::Make(options.redaction));
    return telemetry->StartProcesses(std::move(sensor));
  };
  if (const Status status = start(); !status.ok()) LogWarn("{}: {}", kUnseen, Message(status));
}

std::vector<bpf::Feature> ProcessFeatures(const AgentOptions& options, const telemetry::ProcessSensor* sensor) {
  if (sensor != nullptr) {
    const bpf::SocketProbes* sockets = sensor->sockets();
    return {{"process_sensors", true, kUnseen},
            sensor->feature(),
            sockets != nullptr ? sockets->feature() : bpf::Feature{"socket_probes", false, "flows carry no process"}};
  }
  const bool off = options.process_sensors == kOff;
  return {{"process_sensors", false, std::string(off ? "turned off by --process-sensors: " : "") + kUnseen}};
}

}  // namespace sluice
