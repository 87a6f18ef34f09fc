using System;
using System.Diagnostics;
using System.IO;
using System.Net;
using System.Net.NetworkInformation;
using System.Threading.Tasks;

class Program {
    static void Main() {
        Console.WriteLine(Task.Run(() => 42).Result);
        string file = Path.GetTempFileName();
        Directory.CreateDirectory("directory");
        File.Move(file, "directory/file");
        Console.WriteLine(File.Exists("directory/file"));
        using (var child = Process.Start("/bin/echo", "child")) child.WaitForExit();
        Console.WriteLine(IPAddress.IsLoopback(Dns.GetHostEntry("localhost").AddressList[0]));
        Console.WriteLine(NetworkInterface.GetAllNetworkInterfaces().Length > 0);
    }
}
