#include "ctrl/sluice/object_name.h"

namespace sluice::client {

StatusOr<policy::ObjectName> ParseObjectName(const std::string& text, const std::string& typed,
                                             const std::string& configured) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return policy::ObjectName{typed.empty() ? configured : typed, text};
  policy::ObjectName name{text.substr(0, slash), text.substr(slash + 1)};
  if (name.ns.empty() || name.name.empty() || name.name.find('/') != std::string::npos) {
    return InvalidError("{}: expected a name or namespace/name", text);
  }
  if (!typed.empty() && name.ns != typed) return InvalidError("{} -n {}: two namespaces", text, typed);
  return name;
}

}  // namespace sluice::client
