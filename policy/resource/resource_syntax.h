// The syntax of names and labels in Kubernetes. Each function returns what is wrong with its text, or "". Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::policy {

std::string CheckDnsLabel(std::string_view text);      // names of namespaces
std::string CheckDnsSubdomain(std::string_view text);  // names of everything else
std::string CheckLabelKey(std::string_view text);
std::string CheckLabelValue(std::string_view text);
std::string CheckPortName(std::string_view text);       // IANA_SVC_NAME
std::string CheckInterfaceName(std::string_view text);  // network interfaces
std::string CheckAbsolutePath(std::string_view text);
bool HasPlainComponents(std::string_view path);          // none is empty, "." or ".."
std::string CheckProgramPattern(std::string_view text);  // see policy/network/glob.h

}  // namespace sluice::policy
