// How much one policy may ask for: every limit of the parser, in one place. None is below KubeArmor's.
#pragma once

#include <cstddef>

namespace sluice::policy::lsm {

inline constexpr std::size_t kMaxRules = 1024;          // of a policy
inline constexpr std::size_t kMaxSources = 64;          // of a rule's fromSource
inline constexpr std::size_t kMaxPathBytes = 4095;      // of a path or directory, without its NUL
inline constexpr std::size_t kMaxNameBytes = 255;       // of an execname
inline constexpr std::size_t kMaxPatternBytes = 255;    // of a pattern
inline constexpr std::size_t kMaxAlternatives = 64;     // of a pattern, after "{a,b}" is expanded
inline constexpr std::size_t kMaxRuns = 16;             // of an alternative: "*" and "**"
inline constexpr std::size_t kMaxAllowedArgs = 20;      // of a rule
inline constexpr std::size_t kMaxArgBytes = 104;        // of an entry of allowedArgs
inline constexpr std::size_t kMaxRuleSyscalls = 512;    // of a rule
inline constexpr std::size_t kMaxTags = 64;             // of a policy, section or rule
inline constexpr std::size_t kMaxTagBytes = 256;        // of a tag
inline constexpr std::size_t kMaxMessageBytes = 1024;   // of a message
inline constexpr std::size_t kMaxRequirements = 64;     // of a selector: matchLabels and matchExpressions
inline constexpr std::size_t kMaxSelectorValues = 256;  // of an entry of matchExpressions, hostnames, containers
inline constexpr std::size_t kMaxRegexBytes = 255;      // of kubearmor.io/hostnamereg
inline constexpr int kMinSeverity = 1;
inline constexpr int kMaxSeverity = 10;

}  // namespace sluice::policy::lsm
