// The files that the plugin leaves for an agent that does not answer (api/cni.h). `directory` is kDefaultDirectory, or
// what the configuration names. A file is there completely or not at all; concurrent calls for one attachment do not
// happen (CNI), those for several do no harm.
#pragma once

#include <string>
#include <vector>

#include "api/cni.h"

namespace sluice::cni {

// So that the agent forgets the attachment once it is back. ResourceExhausted: kMaxFiles are there.
Status LeaveDeleted(const std::string& directory, const Attachment& attachment);
// So that the agent enforces on the pod, and then opens its interface, once it is back. ResourceExhausted likewise.
Status LeavePending(const std::string& directory, const Request& add);
// Removes what an earlier call left. No error where there is nothing.
void Forget(const std::string& directory, const char* kind, const Attachment& attachment);
// Removes what is pending of `network` and not in `valid`.
void ForgetOthers(const std::string& directory, const std::string& network, const std::vector<Attachment>& valid);

}  // namespace sluice::cni
