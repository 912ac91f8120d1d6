// What a client generated for C# names and Debian does not have: Polly, which repeats requests if one asks
// for it, and the naming strategies of Newtonsoft.Json 9, which Debian has in version 6. Every name of the
// document is given to Newtonsoft explicitly, so that no strategy would change it.
using System;
using System.Threading.Tasks;

namespace Polly
{
    public enum OutcomeType { Successful, Failure }

    public class PolicyResult<T>
    {
        public OutcomeType Outcome { get; set; }
        public Exception FinalException { get; set; }
        public T Result { get; set; }
    }

    public interface ISyncPolicy<T> { }

    public interface IAsyncPolicy<T>
    {
        Task<PolicyResult<T>> ExecuteAndCaptureAsync(Func<Task<T>> action);
    }
}

// The namespace that encloses the generated ones comes before what they name in `using`.
namespace Calendar
{
    public class CamelCaseNamingStrategy
    {
        public bool ProcessDictionaryKeys { get; set; }
        public bool OverrideSpecifiedNames { get; set; }
    }

    public class DefaultContractResolver : Newtonsoft.Json.Serialization.DefaultContractResolver
    {
        public CamelCaseNamingStrategy NamingStrategy { get; set; }
    }
}
