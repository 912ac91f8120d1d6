// A desktop program on the generated client: each command does one thing and prints what it was answered.
using System;
using System.IO;
using System.Text;
using Calendar.Api;
using Calendar.Client;
using Calendar.Model;
using Newtonsoft.Json;

public static class Program
{
    public static int Main(string[] args)
    {
        Console.OutputEncoding = new UTF8Encoding(false);
        var server = new Configuration { BasePath = args[0] };
        var token = Environment.GetEnvironmentVariable("CALENDAR_TOKEN");
        if (token != null) server.DefaultHeaders["Authorization"] = "Bearer " + token;
        var departments = new DepartmentsApi(server);
        var events = new EventsApi(server);
        try
        {
            Console.WriteLine(JsonConvert.SerializeObject(Run(departments, events, args)));
            return 0;
        }
        catch (ApiException refusal)
        {
            Console.WriteLine(refusal.ErrorContent);
            return refusal.ErrorCode / 100;
        }
    }

    private static object Run(DepartmentsApi departments, EventsApi events, string[] args)
    {
        switch (args[1])
        {
            case "create-department":
                return departments.CreateDepartment(new DepartmentNew(name: args[2], description: args[3])).Department;
            case "rename-department":
                return departments.UpdateDepartment(args[2], new DepartmentChange(name: args[3])).Department;
            case "delete-department":
                return departments.DeleteDepartment(args[2]);
            case "create":
                var wanted = new EventNew(
                    eventDate: DateTime.Parse(args[3]), title: args[4],
                    description: args[5], time: "오후 2:00", url: "https://example.com/방?q=1");
                return events.CreateEvent(args[2], wanted, idempotencyKey: args[6]).Event;
            case "rename":
                return events.UpdateEvent(args[2], new EventChange(title: args[3]), ifMatch: args[4]).Event;
            case "move":
                return events.UpdateEvent(args[2], new EventChange(eventDate: DateTime.Parse(args[3]))).Event;
            case "send-back":
                var held = events.GetEvent(args[2], args[3]).Event;
                held.Title = args[4];
                var whole = JsonConvert.DeserializeObject<EventChange>(JsonConvert.SerializeObject(held));
                return events.UpdateEvent(held.Id.ToString(), whole).Event;
            case "list":
                return events.ListEvents(args[2]).Events;
            case "changes":
                return events.ListChanges(args[2], args[3]).Changes;
            case "delete":
                return events.DeleteEvent(args[2]);
            case "read-changes":
                var settings = new JsonSerializerSettings { DateParseHandling = DateParseHandling.None };
                return JsonConvert.DeserializeObject<ChangesAnswer>(File.ReadAllText(args[2]), settings).Changes;
            default:
                throw new ArgumentException(args[1]);
        }
    }
}
