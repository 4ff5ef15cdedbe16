#include "telemetry/lsm/alert_description.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/capability.h"
#include "policy/resource/model.h"
#include "telemetry/event/text.h"
#include "telemetry/hook/hook_names.h"

namespace sluice::telemetry {
namespace {

// The section that judges an operation, and the kernel's hook where that is done.
struct OperationInfo {
  v1::Alert::Operation operation;
  const char* hook;
};
constexpr OperationInfo kOperations[] = {
    {v1::Alert::PROCESS, "bprm_check_security"},  // EXECUTE
    {v1::Alert::FILE, "file_open"},               // OPEN
    {v1::Alert::FILE, "path_mknod"},              // CREATE
    {v1::Alert::FILE, "path_mkdir"},              // MAKE_DIRECTORY
    {v1::Alert::FILE, "path_rmdir"},              // REMOVE_DIRECTORY
    {v1::Alert::FILE, "path_unlink"},             // UNLINK
    {v1::Alert::FILE, "path_rename"},             // RENAME
    {v1::Alert::FILE, "path_link"},               // LINK
    {v1::Alert::FILE, "path_symlink"},            // SYMLINK
    {v1::Alert::FILE, "path_truncate"},           // TRUNCATE
    {v1::Alert::FILE, "path_chmod"},              // CHANGE_MODE
    {v1::Alert::FILE, "path_chown"},              // CHANGE_OWNER
    {v1::Alert::NETWORK, "socket_create"},        // CREATE_SOCKET
    {v1::Alert::CAPABILITIES, "capable"},         // USE_CAPABILITY
    {v1::Alert::SYSCALL, "sys_enter"},            // SYSTEM_CALL
    {v1::Alert::PROCESS, "mmap_file"},            // MAP_CODE
};
static_assert(std::size(kOperations) == SL_LSM_OPERATION_COUNT);

const policy::lsm::PresetRule* PresetOf(const AlertDescription& description) {
  const auto& presets = description.policy->presets;
  const auto preset =
      std::find_if(presets.begin(), presets.end(), [&](const auto& one) { return &one.rule == description.rule; });
  return preset == presets.end() ? nullptr : &*preset;
}

void SetPolicy(const AlertRecord& record, const AlertDescription& description, v1::PolicyRef* out) {
  const policy::Kind kind = policy::kKubeArmorKinds[static_cast<std::size_t>(description.policy->kind)];
  out->set_kind(policy::KindName(kind));
  out->set_api_version(policy::KindApiVersion(kind));
  out->set_namespace_(description.policy->name.ns);
  out->set_name(description.policy->name.name);
  out->set_rule(description.rule->field);
  const bool blocked = record.event.verdict == SL_LSM_BLOCK;
  const bool by_posture = record.event.reason == SL_LSM_BY_POSTURE;
  out->set_effect(!blocked ? v1::PolicyRef::AUDIT : by_posture ? v1::PolicyRef::DEFAULT_DENY : v1::PolicyRef::DENY);
  if (!blocked && by_posture) out->set_would(v1::PolicyRef::DEFAULT_DENY);
}

// What it is about, beside the path.
void SetResource(const AlertRecord& record, v1::Alert* out) {
  const sl_lsm_event& event = record.event;
  out->set_resource(ToUtf8(record.path));
  out->set_resource_truncated(record.Is(SL_LSM_EVENT_PATH_TRUNCATED));
  switch (event.operation) {
    case SL_LSM_EXECUTE:
      for (std::size_t i = 1; i < record.arguments.size(); ++i) out->add_arguments(ToUtf8(record.arguments[i]));
      break;
    case SL_LSM_CREATE_SOCKET: {
      v1::HookSocket& socket = *out->mutable_socket();
      socket.set_family(FamilyName(event.family));
      socket.set_type(SocketTypeName(event.type));
      socket.set_protocol(ProtocolName(event.protocol));
      break;
    }
    case SL_LSM_USE_CAPABILITY:
      out->set_resource(CapabilityName(event.number));
      break;
    case SL_LSM_SYSTEM_CALL:
      out->set_resource(SyscallName(event.number));
      break;
    default:
      break;
  }
}

}  // namespace

void FillAlert(const AlertRecord& record, const AlertDescription& description, v1::Alert* out) {
  const sl_lsm_event& event = record.event;
  const OperationInfo& info = kOperations[event.operation];
  out->set_operation(info.operation);
  out->set_hook(info.hook);
  out->set_action(event.verdict == SL_LSM_BLOCK ? v1::Alert::BLOCK : v1::Alert::AUDIT);
  if (event.verdict == SL_LSM_BLOCK) out->set_error("EPERM");
  out->set_enforcer(event.operation == SL_LSM_SYSTEM_CALL ? "eBPF Monitor" : "BPFLSM");
  SetResource(record, out);
  if (info.operation == v1::Alert::FILE) out->set_writes(record.Is(SL_LSM_EVENT_WRITES));
  if (out->process().binary().empty()) out->mutable_process()->set_binary(ToUtf8(record.program));
  SetPolicy(record, description, out->mutable_policy());
  if (const auto* const preset = PresetOf(description)) {
    out->set_preset(std::string(policy::lsm::InfoOf(preset->preset).name));
  }
  const policy::lsm::Effect& effect = description.rule->effect;
  out->set_severity(static_cast<std::uint32_t>(effect.severity));
  out->set_message(ToUtf8(effect.message));
  for (const std::string& tag : effect.tags) out->add_tags(ToUtf8(tag));
}

}  // namespace sluice::telemetry
