// Processes in Tetragon's form. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "api/tetragon.pb.h"

namespace sluice::telemetry {

// base64 of "NODE:NANOSECONDS:PID", for "NODE:PID:NANOSECONDS". Empty: `exec_id` has another form.
std::string TetragonExecId(const std::string& exec_id);

// `event`: an exec, an exit or a hook. Fills process and, if anything is known of it, parent.
template <typename Event, typename Out>
void FillTetragonProcesses(const Event& event, const v1::Process* parent, Out* out);

// The instance that `parent` is, or else the little that the process itself says.
void FillTetragonParent(const v1::Process& process, const v1::Process* parent, tetragon::Process* out);
void FillTetragonProcess(const v1::Process& process, const v1::Process* parent, tetragon::Process* out);
// Only if the process is in a workload.
void FillTetragonPod(const std::string& ns, const std::string& workload, const v1::Owner& owner,
                     const v1::Process& process, tetragon::Process* out);

// Fills cap.effective, if what the process may do is known. The other sets are not.
void FillTetragonCapabilities(const v1::Process& process, tetragon::Process* out);

// True only if it is certain.
bool AreInOneWorkload(const v1::Process& a, const v1::Process& b);

template <typename Event, typename Out>
void FillTetragonProcesses(const Event& event, const v1::Process* parent, Out* out) {
  const v1::Process& process = event.process();
  FillTetragonProcess(process, parent, out->mutable_process());
  FillTetragonPod(event.namespace_(), event.workload(), event.owner(), process, out->mutable_process());
  if (parent == nullptr && process.parent_exec_id().empty()) return;
  FillTetragonParent(process, parent, out->mutable_parent());
  if (parent != nullptr && AreInOneWorkload(process, *parent)) {
    FillTetragonPod(event.namespace_(), event.workload(), event.owner(), *parent, out->mutable_parent());
  }
}

}  // namespace sluice::telemetry
